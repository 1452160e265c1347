const some = (text: string, holds: (unit: number) => boolean): boolean => {
  for (let i = 0; i < text.length; i++) {
    if (holds(text.charCodeAt(i))) return true
  }
  return false
}

/** Whether a text has a control character, tabs and line breaks included. */
export const hasControl = (text: string): boolean => some(text, (unit) => unit < 0x20 || unit === 0x7f)

/** Whether a text is not empty and has visible ASCII characters only. */
export const isVisible = (text: string): boolean => text !== "" && !some(text, (unit) => unit < 0x21 || unit > 0x7e)
