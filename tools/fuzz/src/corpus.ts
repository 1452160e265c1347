/** The inputs of a target that are kept: a line of base64 for each, behind a remark where it was a finding. */
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

export const corpusFile = (target: string): string => fileURLToPath(new URL(`../corpus/${target}.txt`, import.meta.url))

const linesOf = (target: string): ReadonlyArray<string> => {
  const file = corpusFile(target)
  return existsSync(file) ? readFileSync(file, "utf8").split("\n") : []
}

const isRemark = (line: string): boolean => line === "" || line.startsWith("#")

export const readCorpus = (target: string): ReadonlyArray<Uint8Array> =>
  linesOf(target)
    .filter((line) => !isRemark(line))
    .map((line) => Uint8Array.from(Buffer.from(line, "base64")))

const lineOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64")

/** Keeps an input that found something, whatever happens to the rest of the corpus. */
export const addFinding = (target: string, bytes: Uint8Array, remark: string): void => {
  const lines = linesOf(target).filter((line) => line !== "")
  if (lines.includes(lineOf(bytes))) return
  const found = [`# found: ${remark.replaceAll(/\s+/g, " ").slice(0, 160)}`, lineOf(bytes)]
  writeFileSync(corpusFile(target), `${[...found, ...lines].join("\n")}\n`)
}

/** Replaces everything but the findings. */
export const writeCorpus = (target: string, inputs: ReadonlyArray<Uint8Array>): void => {
  const lines = linesOf(target)
  const found = lines.flatMap((line, i) => (line.startsWith("# found") ? [line, lines[i + 1] ?? ""] : []))
  const kept = new Set(inputs.map(lineOf).filter((line) => line !== "" && !found.includes(line)))
  writeFileSync(corpusFile(target), `${[...found, ...[...kept].sort()].join("\n")}\n`)
}
