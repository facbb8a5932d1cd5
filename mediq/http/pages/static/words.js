// The page's texts in its language. Values replace the names in braces.
const words = JSON.parse(document.getElementById("words").textContent);

export const language = document.documentElement.lang;

export function t(key, values = {}) {
  const text = words[key];
  if (text === undefined) throw new Error(`no words for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export const has = (key) => words[key] !== undefined;
