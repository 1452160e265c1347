/** The longest name of a topic, in UTF-16 units. */
export const maxNameLength = 255

// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const controlCharacter = /[\u0000-\u001f\u007f]/
// Only half of a character: UTF-8 has no form for it, so that on its way the name would become that of another topic.
const loneSurrogate = /\p{Surrogate}/u

/**
 * Says why a text cannot be the name of a topic; `undefined` if it can. A name has segments between slashes, as a path has.
 * Asterisks are for patterns.
 */
export const refuseName = (name: string): string | undefined => {
  if (typeof name !== "string" || name === "") return "it is empty"
  if (name.length > maxNameLength) return `it has more than ${maxNameLength} characters`
  if (name.includes("*")) return "it has an asterisk, which is for patterns"
  if (controlCharacter.test(name)) return "it has a control character"
  if (loneSurrogate.test(name)) return "it has a lone surrogate"
  return name.split("/").includes("") ? "it has an empty segment" : undefined
}

/** Matches names of topics. `*` stands for one segment. `**`, as the last segment, stands for one or more. */
export class TopicPattern {
  private readonly segments: ReadonlyArray<string>
  private readonly takesRest: boolean

  /** Throws a `RangeError` for an invalid pattern. */
  constructor(pattern: string) {
    const segments = pattern.split("/")
    this.takesRest = segments.at(-1) === "**"
    if (this.takesRest) segments.pop()
    if (segments.some((segment) => segment === "" || (segment !== "*" && segment.includes("*")))) {
      throw new RangeError(
        `${JSON.stringify(pattern)} must have segments between slashes: names, \`*\` for any one, and \`**\` at the end for the rest`
      )
    }
    this.segments = segments
  }

  /** The parts of a name that the asterisks stand for. `undefined` if the name does not match. */
  match(name: string): ReadonlyArray<string> | undefined {
    const { segments } = this
    const parts = name.split("/")
    if (this.takesRest ? parts.length <= segments.length : parts.length !== segments.length) return undefined
    const matched: Array<string> = []
    for (const [index, segment] of segments.entries()) {
      const part = parts[index]
      if (segment === "*" && part !== undefined) matched.push(part)
      else if (segment !== part) return undefined
    }
    if (this.takesRest) matched.push(parts.slice(segments.length).join("/"))
    return matched
  }
}
