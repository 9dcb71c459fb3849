/** Whether the interface is in the pack's other language: asked at each use, for it changes without a new page. */

import { app } from "../../../scripts/app.js"

/** In simplified Chinese alone: traditional Chinese is a language of its own to ComfyUI, and has English here. */
export function isChinese() {
  return app.extensionManager?.setting?.get("Comfy.Locale") === "zh"
}
