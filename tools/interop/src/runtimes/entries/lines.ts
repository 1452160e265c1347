declare const process: { readonly stdin: AsyncIterable<Uint8Array> }

/** The lines of standard input. */
export async function* lines(): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ""
  for await (const chunk of process.stdin) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split("\n")
    rest = parts.pop() ?? ""
    yield* parts
  }
}
