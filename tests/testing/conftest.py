"""Inner runs of pytest put `sys.modules` back as it was, so each would import the SDK anew; here it is there before."""

import agentcache.emulator.server
import agentcache.runtime.client
import agentcache.workflow.runtime  # noqa: F401
