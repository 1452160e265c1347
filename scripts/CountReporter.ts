import type { Reporter, TestModule, TestSpecification } from "vitest/node"

/** Says before a whole run how long it takes, and prints the number of tests as the last line of any run. */
export default class CountReporter implements Reporter {
  onTestRunStart(specifications: ReadonlyArray<TestSpecification>): void {
    // A single file needs no such warning.
    if (specifications.length < 50) return
    console.log(`${specifications.length} files of tests: about 3½ minutes on two cores, longer on a busy machine\n`)
  }

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
