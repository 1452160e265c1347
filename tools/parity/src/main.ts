/** `pnpm parity`: what works of each reference library, and in all; what does not, and why. Exits with 1 below total. */
import { Effect } from "effect"
import { failureOf } from "./Item.js"
import { seeds } from "./seeds.js"

const program = Effect.gen(function* () {
  let works = 0
  let total = 0
  for (const { about, items, name } of seeds) {
    const failures = yield* Effect.forEach(items, failureOf)
    const working = failures.filter((failure) => failure === undefined).length
    works += working
    total += items.length
    console.log(`${name} (${about}): ${working} / ${items.length}`)
    for (const [i, failure] of failures.entries()) {
      if (failure !== undefined)
        console.log(`  ${items[i]!.name}: ${items[i]!.promise}\n    ${failure.replaceAll("\n", "\n    ")}`)
    }
  }
  console.log(`works / total: ${works} / ${total}`)
  process.exitCode = works === total ? 0 : 1
})

await Effect.runPromise(program)
