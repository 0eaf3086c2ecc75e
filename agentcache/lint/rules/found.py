"""Makes a finding of a code: name, severity and fix come from the catalogue of mistakes."""

from __future__ import annotations

from agentcache.accounting.mistakes import MISTAKES
from agentcache.lint.examination import Examination
from agentcache.lint.finding import Confidence, Finding, Loss, Place
from agentcache.prompt.sections import Stability


def found(
    code: str,
    examination: Examination,
    place: Place,
    message: str,
    *,
    layer: Stability | None = None,
    confidence: Confidence = Confidence.CERTAIN,
    fix: str | None = None,
    also: tuple[Place, ...] = (),
    loss: Loss | None = None,
) -> Finding:
    """Return the finding; `fix` where there is better advice than the catalogue's."""
    mistake = MISTAKES[code]
    return Finding(
        code=code,
        name=mistake.name,
        severity=mistake.severity,
        confidence=confidence,
        place=place,
        message=message,
        fix=fix or mistake.fix,
        agent=examination.sources.agent,
        layer=None if layer is None else layer.value,
        also=also,
        loss=loss,
    )
