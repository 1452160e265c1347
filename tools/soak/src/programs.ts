/** Programs in processes of their own, which tell what they know as lines of JSON. */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

export interface Program<Told> {
  readonly kill: (signal: NodeJS.Signals) => void
  /** What it has told so far. */
  readonly told: ReadonlyArray<Told>
  readonly first: Promise<Told>
  /** How it ended: its code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
}

/** Starts a file of this folder. `read` says what is in a line, and throws for what it does not know. */
export const start = <Told>(
  file: string,
  args: ReadonlyArray<string>,
  read: (line: Record<string, unknown>) => Told
): Program<Told> => {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const flags = ["--conditions=@effect-websocket/source", "--import", "tsx"]
  const child = spawn(process.execPath, [...flags, path, ...args], { stdio: ["ignore", "pipe", "inherit"] })
  process.once("exit", () => child.kill("SIGKILL"))
  const told: Array<Told> = []
  const lines = createInterface({ input: child.stdout })
  const first = new Promise<Told>((resolve) => {
    lines.on("line", (line) => {
      const parsed: unknown = JSON.parse(line)
      if (typeof parsed !== "object" || parsed === null) throw new Error(`${file} says ${line}`)
      const one = read(Object.fromEntries(Object.entries(parsed)))
      told.push(one)
      resolve(one)
    })
  })
  const ended = once(child, "close").then(([code, signal]: Array<unknown>) =>
    typeof code === "number" ? code : (String(signal) as NodeJS.Signals)
  )
  return { kill: (signal) => void child.kill(signal), told, first, ended }
}

export const tell = (line: Readonly<Record<string, unknown>>): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

export const numberOf = (value: unknown): number => (typeof value === "number" ? value : Number.NaN)

/** The value below which a share of them is. */
export const quantile = (values: ReadonlyArray<number>, share: number): number =>
  [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN
