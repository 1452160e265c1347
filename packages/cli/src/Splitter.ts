import { exitCodes } from "./ExitCode.js"
import { Failure } from "./Failure.js"

/** A record of the input has more bytes than a message may have. */
export const tooLarge = (maxBytes: number): Failure =>
  new Failure({
    exitCode: exitCodes.tooLarge,
    message: `A message of the input has more bytes than --max-message-bytes allows: ${maxBytes}`
  })

/** Splits bytes at a separator. It looks at each byte once, and holds at most one record. */
export class Splitter {
  private readonly separator: number
  private readonly maxBytes: number
  private parts: Array<Uint8Array> = []
  private held = 0

  constructor(separator: number, maxBytes: number) {
    this.separator = separator
    this.maxBytes = maxBytes
  }

  /** The records that end in a chunk, in order. The last element is a failure if a record is too large. */
  push(chunk: Uint8Array): ReadonlyArray<Uint8Array | Failure> {
    const records: Array<Uint8Array | Failure> = []
    let start = 0
    for (let end = chunk.indexOf(this.separator); end >= 0; end = chunk.indexOf(this.separator, start)) {
      const record = this.take(chunk.subarray(start, end))
      records.push(record)
      if (record instanceof Failure) return records
      start = end + 1
    }
    if (start < chunk.length) {
      this.parts.push(chunk.subarray(start))
      this.held += chunk.length - start
      if (this.held > this.maxBytes) records.push(tooLarge(this.maxBytes))
    }
    return records
  }

  /** The record behind the last separator, if it has any bytes. */
  end(): Uint8Array | undefined {
    if (this.held === 0) return undefined
    const record = Buffer.concat(this.parts)
    this.parts = []
    this.held = 0
    return record
  }

  private take(rest: Uint8Array): Uint8Array | Failure {
    if (this.held + rest.length > this.maxBytes) return tooLarge(this.maxBytes)
    if (this.held === 0) return rest
    const record = Buffer.concat([...this.parts, rest])
    this.parts = []
    this.held = 0
    return record
  }
}
