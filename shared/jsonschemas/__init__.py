"""A chart's values.schema.json: read, said again as far as a CustomResourceDefinition can, and checked in full.

`parse` takes the stranger's document or refuses it, `structural` translates it, `check` is what the translation could
not say. Pure, and bounded in time whatever the document holds.
"""

from shared.jsonschemas.checking import check
from shared.jsonschemas.parsing import parse
from shared.jsonschemas.translation import Translation, structural

__all__ = ["Translation", "check", "parse", "structural"]
