import type { Reporter, TestModule } from "vitest/node"

/** Prints the number of tests as the last line of a run. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) count[test.result().state]++
      // A file that does not load has no tests, but it has failed.
      if (!module.ok() && module.errors().length > 0) count.failed++
    }
    const skipped = count.skipped + count.pending
    // After the summary of the default reporter, which prints when the process is about to end.
    process.once("exit", () => console.log(`Tests: ${count.passed} passed, ${count.failed} failed, ${skipped} skipped`))
  }
}
