/** What a worker is told, and what it reports. */
export interface Work {
  readonly targetsFile: string
  readonly name: string
  readonly seed: number
  readonly milliseconds: number
  readonly maxBytes: number
  /** So that one bug that throws everywhere does not fill the corpus. */
  readonly maxFindings: number
  readonly corpus: ReadonlyArray<Uint8Array>
  /** The number of executions, the length of the input of the moment, and the input. */
  readonly current: SharedArrayBuffer
}

export type Report =
  | { readonly _tag: "Finding"; readonly bytes: Uint8Array; readonly stack: string }
  | {
      readonly _tag: "Done"
      readonly executions: number
      /** The longest execution, in milliseconds. */
      readonly slowest: number
      readonly reached: number
      readonly size: number
      readonly features: number
      readonly corpus: ReadonlyArray<Uint8Array>
    }
