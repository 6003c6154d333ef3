#!/bin/sh
# Draws the pictures of the README from configs/multimodal.yaml, from the project's folder:
#   sh docs/img/draw.sh
# report.png is a screenshot and needs Chromium; without it, it stays as it is.
set -eu
cd "$(dirname "$0")/../.."
tool=${GSWARM_PLACE:-gswarm-place}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
config=configs/multimodal.yaml
requests=configs/multimodal_requests.jsonl

"$tool" solve --config $config --requests $requests --gpus 32 --gpus-per-server 8 \
    --history "$work/history.json" -o "$work/plan.yaml" --quiet
for picture in map comparison latency utilization; do
    "$tool" export --plan "$work/plan.yaml" --format $picture \
        --config $config --requests $requests --routing plan -o docs/img/$picture.png --quiet
done

# On GPUs of their own the models do not all fit where they are wanted: something has to cross.
"$tool" solve --config $config --requests $requests --gpus 32 --gpus-per-server 8 --exclusive \
    --history "$work/exclusive.json" -o "$work/exclusive.yaml" --quiet
for picture in course pairs flows; do
    "$tool" export --plan "$work/exclusive.yaml" --format $picture \
        --config $config --requests $requests --routing plan --history "$work/exclusive.json" \
        -o docs/img/$picture.png --quiet
done

browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)
if [ -n "$browser" ]; then
    "$tool" report --plan "$work/plan.yaml" --config $config --requests $requests \
        --history "$work/history.json" --routing plan -o "$work/report.html" --quiet
    "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars \
        --user-data-dir="$work/profile" --window-size=1280,1490 \
        --screenshot=docs/img/report.png "file://$work/report.html" 2>/dev/null
fi
