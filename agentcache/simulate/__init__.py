"""What if: replay recorded traffic under other cache policies and bill each beside the clairvoyant bound."""
