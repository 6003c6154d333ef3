#!/bin/sh
# Draws the pictures of the README from configs/studio.yaml, from the project's folder:
#   sh docs/img/draw.sh
# report.png is a screenshot and needs Chromium; without it, it stays as it is.
set -eu
cd "$(dirname "$0")/../.."
tool=${GSWARM_PLACE:-gswarm-place}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
data="--config configs/studio.yaml --requests configs/studio_requests.jsonl"

# shellcheck disable=SC2086  # $data is several words
{
    "$tool" solve $data --cluster configs/studio_cluster.yaml --max-models-per-gpu 2 \
        --max-utilization 0.73 --gap 0.1 \
        --history "$work/history.json" -o "$work/plan.yaml" --quiet
    for picture in map comparison latency utilization course pairs flows; do
        "$tool" export --plan "$work/plan.yaml" --format $picture $data --routing plan \
            --history "$work/history.json" -o docs/img/$picture.png --quiet
    done
    "$tool" report --plan "$work/plan.yaml" $data --history "$work/history.json" \
        --routing plan -o "$work/report.html" --quiet
}

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -n "$browser" ]; then
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
        --user-data-dir="$work/profile" --window-size=1280,1290 \
        --screenshot=docs/img/report.png "file://$work/report.html" 2>/dev/null
else
    echo "docs/img/report.png stays as it is: there is no Chromium" >&2
fi
