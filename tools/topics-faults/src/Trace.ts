/** The last lines of what has happened. */
const maxLines = 20_000

interface Line {
  readonly at: number
  readonly subject: string
  readonly what: unknown
}

export class Trace {
  private readonly start = performance.now()
  private lines: Array<Line> = []
  private isOver = false

  /** What happens from now on is not kept, because a rule has been broken. */
  stop(): void {
    this.isOver = true
  }

  add(subject: string, what: unknown): void {
    if (this.isOver) return
    if (this.lines.push({ at: performance.now(), subject, what }) > 2 * maxLines)
      this.lines = this.lines.slice(-maxLines)
  }

  /** The last lines of all, and those that name a subject: a program, and perhaps the id of what it does. */
  around(subject: string): ReadonlyArray<string> {
    const [program = "", id] = subject.split(" ")
    const shown = this.lines.map((line) => ({ line, text: this.show(line) }))
    const own = shown.filter(
      ({ line, text }) => line.subject === program && (id === undefined || text.includes(`"${id}"`))
    )
    return [
      `The last lines of ${subject}:`,
      ...own.slice(-30).map(({ text }) => text),
      "The last lines of all:",
      ...shown.slice(-200).map(({ text }) => text)
    ]
  }

  private show({ at, subject, what }: Line): string {
    const text = typeof what === "string" ? what : JSON.stringify(what)
    return `${((at - this.start) / 1000).toFixed(3)} ${subject} ${text.replace(/("epoch":"[^"]{4})[^"]*/g, "$1")}`
  }
}
