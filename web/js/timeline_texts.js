/** What the timelines say, in the interface's language. */

import { MOST_FRAMES } from "./frame_mask.js"
import { isChinese } from "./language.js"

const TEXTS = {
  en: {
    summary: (kept, generated) => `${kept} kept, ${generated} generated`,
    "not numbers": () => "indices: whole numbers and ranges, such as 0, 7, 12-15",
    outside: (index, frames) => `frame ${index} is outside the clip (0 to ${frames - 1})`,
    "too many": (needed, frames) => `${needed} frames to keep, but the clip has ${frames}`,
    "too long": () => `frames: a number from 1 to ${MOST_FRAMES}`,
    "too many pictures": (pictures, frames) => `${pictures} images, but the clip has ${frames} frames`,
    "not places": () => "keyframe_places: whole numbers, such as 7, 11, or empty",
    "other number": (named, frames, pictures) => `keyframe_places: ${named} frames for ${pictures} images`,
    twice: (frame) => `frame ${frame} is given twice`,
    "not assigned": (kept, frames, pictures) => `the mask keeps ${kept} frames, ${pictures} images are wired in`,
    "no picture": (generated) => `text to video: ${generated} generated`,
    "mask decides": () => "the mask says which frames are given",
    "batch decides": () => "how many keyframes there are is known when it runs",
    wired: (name) => `${name} comes by a wire, known when it runs`,
    kept: "kept",
    generated: "generated",
    mayToggle: "click or drag to change",
    mayMove: "drag to another frame"
  },
  zh: {
    summary: (kept, generated) => `保留 ${kept} 帧，生成 ${generated} 帧`,
    "not numbers": () => "indices：整数或范围，例如 0, 7, 12-15",
    outside: (index, frames) => `第 ${index} 帧超出短片范围（0 到 ${frames - 1}）`,
    "too many": (needed, frames) => `要保留 ${needed} 帧，但短片只有 ${frames} 帧`,
    "too long": () => `frames：1 到 ${MOST_FRAMES} 之间的整数`,
    "too many pictures": (pictures, frames) => `接入 ${pictures} 张图片，但短片只有 ${frames} 帧`,
    "not places": () => "keyframe_places：整数，例如 7, 11，也可留空",
    "other number": (named, frames, pictures) => `keyframe_places：${named} 个帧号对应 ${pictures} 张图片`,
    twice: (frame) => `第 ${frame} 帧重复给定`,
    "not assigned": (kept, frames, pictures) => `遮罩保留 ${kept} 帧，接入 ${pictures} 张图片`,
    "no picture": (generated) => `文生视频：生成 ${generated} 帧`,
    "mask decides": () => "由遮罩决定给定哪些帧",
    "batch decides": () => "运行时才知道有多少关键帧",
    wired: (name) => `${name} 由连线给出，运行时才知道`,
    kept: "保留",
    generated: "生成",
    mayToggle: "点击或拖动可更改",
    mayMove: "拖到其他帧"
  }
}

export function texts() {
  return isChinese() ? TEXTS.zh : TEXTS.en
}
