/** A node's widgets: their values, where they come by a wire too, and which of them are shown. */

import { app } from "../../../scripts/app.js"

/** Values by name; null for one that comes by a wire from a node that does not show it. */
export function widgetValues(node, names) {
  return Object.fromEntries(names.map((name) => [name, isWired(node, name) ? wiredValue(node, name) : own(node, name)]))
}

function own(node, name) {
  return node.widgets.find((widget) => widget.name === name).value
}

function wiredValue(node, name) {
  const origin = node.getInputNode(node.inputs.findIndex((input) => input.widget?.name === name))
  return origin?.widgets?.find((widget) => widget.name === "value")?.value ?? null
}

/** Whether a widget's value comes by a wire. */
export function isWired(node, name) {
  return node.inputs?.some((input) => input.widget?.name === name && input.link != null) ?? false
}

/** Set a widget as its own field would. */
export function setWidget(node, name, value) {
  const widget = node.widgets.find((each) => each.name === name)
  if (widget.value === value) return
  widget.value = value
  widget.callback?.(value, app.canvas, node)
}

/**
 * Shows those widgets that have an effect. Hidden ones keep their values and their places in workflows.
 *
 * @param {Object} node
 * @param {Record<string, boolean>} shown by name; those with a wire of their own are always shown
 */
export function showWidgets(node, shown) {
  const hide = ({ name }) => !shown[name] && !isWired(node, name)
  const changed = node.widgets.filter((widget) => widget.name in shown && !!widget.hidden !== hide(widget))
  if (!changed.length) return
  for (const widget of changed) {
    widget.hidden = hide(widget)
    widget.options.hidden = widget.hidden
  }
  // Nodes drawn by Vue watch the list of widgets, not what is in them.
  node.widgets.push(node.widgets.pop())
}

/** A change after which the node is as much higher or lower as its widgets are. */
export function changeHeight(node, change) {
  const before = node.computeSize()[1]
  change()
  const least = node.computeSize()[1]
  if (least !== before) node.setSize([node.size[0], Math.max(node.size[1] + least - before, least)])
}
