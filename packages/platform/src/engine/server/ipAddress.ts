/**
 * The canonical text of an IP address (RFC 5952); `undefined` for a text that is not an address. An IPv4 address that
 * is mapped into IPv6 becomes the IPv4 address, and a zone (`%eth0`) is dropped.
 */
export const canonical = (text: string): string | undefined => {
  const groups = parse(text)
  if (typeof groups === "string" || groups === undefined) return groups
  return isMapped(groups) ? dotted(groups[6]!, groups[7]!) : compressed(groups)
}

/** An address as proxies write it: `[v6]`, and with a port (RFC 7239 §6), which is dropped. */
export const canonicalNode = (text: string): string | undefined => {
  const whole = canonical(text)
  if (whole !== undefined) return whole
  if (text.startsWith("[")) {
    const end = text.indexOf("]")
    const inner = text.slice(1, Math.max(1, end))
    return inner.includes(":") && (end === text.length - 1 || isPort(text.slice(end + 1)))
      ? canonical(inner)
      : undefined
  }
  const colon = text.lastIndexOf(":")
  return colon > 0 && isPort(text.slice(colon)) ? canonical(text.slice(0, colon)) : undefined
}

/** The key of a client: its IPv4 address, or the /64 prefix of its IPv6 address, because one subscriber has a whole /64. */
export const network = (address: string): string => {
  const groups = parse(address)
  if (groups === undefined) return address
  if (typeof groups === "string") return groups
  if (isMapped(groups)) return dotted(groups[6]!, groups[7]!)
  return `${groups.slice(0, 4).map(hexadecimal).join(":")}::/64`
}

// The longest is an IPv4 address within IPv6; a zone is an interface's name, which has at most 15 characters on Linux.
const maxLength = 45 + 32

/** An IPv4 address as text, or the eight groups of an IPv6 address. */
const parse = (text: string): string | ReadonlyArray<number> | undefined => {
  if (text.length > maxLength) return undefined
  if (!text.includes(":")) return octets(text) === undefined ? undefined : text
  const zone = text.indexOf("%")
  const halves = (zone < 0 ? text : text.slice(0, zone)).split("::")
  if (halves.length > 2) return undefined
  const left = groupsOf(halves[0]!, halves.length === 1)
  const right = groupsOf(halves[1] ?? "", true)
  if (left === undefined || right === undefined) return undefined
  const missing = 8 - left.length - right.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  return [...left, ...Array<number>(missing).fill(0), ...right]
}

/** The last one may be an IPv4 address, which is two groups. */
const groupsOf = (half: string, isLast: boolean): ReadonlyArray<number> | undefined => {
  if (half === "") return []
  const groups: Array<number> = []
  const parts = half.split(":")
  for (const [i, part] of parts.entries()) {
    const embedded = isLast && i === parts.length - 1 ? octets(part) : undefined
    if (embedded !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = embedded
      groups.push(a * 256 + b, c * 256 + d)
    } else if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(Number.parseInt(part, 16))
    } else {
      return undefined
    }
  }
  return groups
}

/** Refuses leading zeros, because some programs read them as octal and others as decimal. */
const octets = (text: string): ReadonlyArray<number> | undefined => {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  return parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256) ? parts.map(Number) : undefined
}

/** RFC 4291 §2.5.5.2. */
const isMapped = (groups: ReadonlyArray<number>): boolean =>
  groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0)

const dotted = (high: number, low: number): string => [high >> 8, high & 0xff, low >> 8, low & 0xff].join(".")

const hexadecimal = (group: number): string => group.toString(16)

/** RFC 5952 §4.2: the first of the longest runs of zeros, of at least two, is `::`. */
const compressed = (groups: ReadonlyArray<number>): string => {
  let start = -1
  let length = 1
  for (let i = 0; i < groups.length; i++) {
    let end = i
    while (groups[end] === 0) end++
    if (end - i > length) [start, length] = [i, end - i]
  }
  if (start < 0) return groups.map(hexadecimal).join(":")
  const half = (from: number, to: number) => groups.slice(from, to).map(hexadecimal).join(":")
  return `${half(0, start)}::${half(start + length, groups.length)}`
}

/** With its colon; RFC 7239 §6.3 lets a proxy hide the number behind a name. */
const isPort = (text: string): boolean => /^:([0-9]{1,5}|_[A-Za-z0-9._-]{1,64})$/.test(text)
