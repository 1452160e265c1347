import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
  type StreamInfo
} from "@nats-io/jetstream"
import { RequestError } from "@nats-io/transport-node"

/** What a stream keeps. It may be changed later. Ages are in nanoseconds. */
export type Bounds = Pick<
  StreamConfig,
  "max_msgs" | "max_bytes" | "max_age" | "max_msgs_per_subject" | "duplicate_window" | "num_replicas"
>

/** What a stream takes and tells. */
export type Flow = Pick<StreamConfig, "subjects" | "republish">

/** Asks for a stream, and makes it if there is none. If `update`, also gives it these bounds. */
export const openStream = async (
  { streams }: JetStreamManager,
  name: string,
  bounds: Partial<Bounds>,
  update: boolean,
  flow: () => Flow
): Promise<StreamInfo> => {
  try {
    const info = await streams.info(name)
    const current: Partial<Bounds> = info.config
    const fits = boundNames.every((name) => bounds[name] === undefined || bounds[name] === current[name])
    return fits || !update ? info : await streams.update(name, bounds)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
  }
  try {
    return await streams.add({
      ...bounds,
      ...flow(),
      name,
      retention: RetentionPolicy.Limits,
      discard: DiscardPolicy.Old,
      storage: StorageType.File
    })
  } catch (cause) {
    // Another process was faster.
    if (!isApiError(cause, nameInUse)) throw cause
    return streams.info(name)
  }
}

const boundNames = [
  "max_msgs",
  "max_bytes",
  "max_age",
  "max_msgs_per_subject",
  "duplicate_window",
  "num_replicas"
] as const

const nameInUse = 10058

/** Deletes a stream. Succeeds if there is none. */
export const deleteStream = async ({ streams }: JetStreamManager, name: string): Promise<void> => {
  try {
    await streams.delete(name)
  } catch (cause) {
    if (!isMissing(cause)) throw cause
  }
}

/** Whether there is no such stream. */
export const isMissing = (cause: unknown): boolean => isApiError(cause, JetStreamApiCodes.StreamNotFound)

const isApiError = (cause: unknown, code: number): boolean => cause instanceof JetStreamApiError && cause.code === code

/** Whether nobody has got a message: no stream takes its subject, or nobody listens. */
export const hasNoReceiver = (cause: unknown): boolean =>
  cause instanceof RequestError ? cause.isNoResponders() : cause instanceof Error && hasNoReceiver(cause.cause)
