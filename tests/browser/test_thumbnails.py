"""Small copies of wired pictures, however many there are: each is made once, and the page goes on."""

import pytest

from tests.browser.nodes_on_the_page import CLIP, COLOURS, add, soon

pytestmark = pytest.mark.one_host
MANY = 70
"""More than are kept while nothing shows them."""
LOOK_UNTIL_SEEN = """async ([file, many]) => {
    const {thumbnail} = await import('/extensions/comfyui-seine/js/thumbnails.js')
    const {api} = await import('/scripts/api.js')
    const address = () => api.apiURL(`/view?filename=${file}&type=input&n=${crypto.randomUUID()}`)
    const addresses = Array.from({length: many}, address)
    let looks = 0, shown = [], asked = 0
    const Picture = window.Image
    window.Image = class extends Picture { constructor() { super(); asked++ } }
    const seen = () => shown.length && !shown.includes(null)
    try {
        await new Promise(done => {
            const look = () => {
                if (looks > 3 * many) return
                looks++
                shown = addresses.map(address => thumbnail(address, look))
                if (seen() || looks > 3 * many) done()
            }
            look()
        })
        for (let more = 0; more < 3; more++) shown = addresses.map(address => thumbnail(address, () => {}))
    } finally { window.Image = Picture }
    return [seen(), looks <= many + 1, asked]
}"""
"""As a node's timeline does: it looks again whenever a picture is ready."""
WIRE_MANY = """([clip, many]) => {
    const make = type => { const node = LiteGraph.createNode(type); app.graph.add(node); return node }
    let row = [...Array(many).keys()].map(number => {
        const node = make('LoadImage')
        node.widgets.find(widget => widget.name == 'image').value = `${'./'.repeat(number)}first.png`
        return node
    })
    while (row.length > 1) {
        const next = []
        for (let at = 0; at < row.length; at += 2) {
            if (at + 1 == row.length) { next.push(row[at]); continue }
            const batch = make('ImageBatch')
            row[at].connect(0, batch, 0)
            row[at + 1].connect(0, batch, 1)
            next.push(batch)
        }
        row = next
    }
    const target = app.graph.getNodeById(clip)
    row[0].connect(0, target, target.inputs.findIndex(input => input.name == 'keyframes'))
}"""


def test_more_pictures_than_are_kept_are_all_shown(nodes):
    page = nodes
    # Looks that would never end are ended here, before a node does it.
    assert page.evaluate(LOOK_UNTIL_SEEN, ["first.png", MANY]) == [True, True, MANY]
    clip = add(page, CLIP, values={"frames": 128})
    page.evaluate(WIRE_MANY, [clip, MANY])
    points = [[x / 20, 20] for x in range(1, 20)]
    soon(page, lambda: [colour for colour in page.evaluate(COLOURS, [CLIP, points]) if min(colour) > 100], [])
