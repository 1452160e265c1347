/**
 * Runs before each test file. `layer` of `@effect/vitest` puts methods for its layer on the one `it` that all files of a worker
 * share, and leaves them there.
 */
import { it } from "@effect/vitest"

const { effect, flakyTest, live, prop, scoped, scopedLive } = it
const found = { effect, flakyTest, live, prop, scoped, scopedLive }
const key = Symbol.for("effect-websocket/it")

const shared: { [key]?: typeof found } = globalThis
Object.assign(it, (shared[key] ??= found))
