/** The page's words by language. */
export const TEXTS = {
  en: {
    language: "中文", title: "SEINE clips", token: "Token", docs: "API", prompt: "Prompt",
    images: "Images (none, first, first and last)", more: "Other keys of a row", make: "Make clip",
    empty: "No clips yet.", older: "Older clips", remove: "Delete", save: "Save",
    waiting: (before) => `Waiting, ${before} before it`, making: "Being made", failed: "Not made",
    took: (seconds) => `${seconds} s`, counts: (c) => `${c.waiting} waiting · ${c.making} being made · ${c.made} made · ${c.failed} failed`,
    sure: (name) => `Delete ${name}?`, unauthorized: "The token is missing or wrong.", away: "The service does not answer.",
    full: (seconds) => `The queue is full. Try again in ${seconds} s.`, gone: "The file cannot be shown.",
  },
  zh: {
    language: "English", title: "SEINE 短片", token: "令牌", docs: "接口", prompt: "提示词（英文）",
    images: "图片（不选、首帧、首帧和尾帧）", more: "行的其他键", make: "生成短片",
    empty: "还没有短片。", older: "更早的短片", remove: "删除", save: "保存",
    waiting: (before) => `等待中，前面还有 ${before} 个`, making: "生成中", failed: "未生成",
    took: (seconds) => `${seconds} 秒`, counts: (c) => `等待 ${c.waiting} · 生成中 ${c.making} · 已完成 ${c.made} · 失败 ${c.failed}`,
    sure: (name) => `删除 ${name}？`, unauthorized: "令牌缺失或不正确。", away: "服务没有应答。",
    full: (seconds) => `队列已满，请在 ${seconds} 秒后重试。`, gone: "无法显示文件。",
  },
};
