#!/bin/bash
# surface-accept.sh: records the public surface as it is now (`make
# surface-accept`); the difference to before is then in git's diff.
set -euo pipefail
exec bash "$(dirname "$0")/surface.sh" accept
