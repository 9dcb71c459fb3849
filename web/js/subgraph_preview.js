/**
 * A blueprint's clip plays at its node in the classic canvas too. ComfyUI gives a subgraph's node the picture of the
 * sampler within, and shows it in Vue nodes alone: a subgraph's node takes no widget for it. So it is drawn below.
 */

import { app } from "../../../scripts/app.js"

const PREFIX = "SEINE"
const GAP = 6

function draw(node, context) {
  const image = node.imgs?.[0]
  if (!image?.naturalWidth || node.flags.collapsed || globalThis.LiteGraph?.vueNodesMode) return
  const [width, bottom] = node.size
  context.drawImage(image, 0, bottom + GAP, width, (width * image.naturalHeight) / image.naturalWidth)
}

app.registerExtension({
  name: "SEINE.SubgraphPreview",
  nodeCreated(node) {
    if (!node.isSubgraphNode?.()) return
    const drawn = node.onDrawForeground
    node.onDrawForeground = function (context, ...given) {
      drawn?.call(this, context, ...given)
      const ours = this.subgraph.nodes.some((inner) => inner.comfyClass?.startsWith(PREFIX))
      if (ours && this.properties.previewExposures?.length) draw(this, context)
    }
  }
})
