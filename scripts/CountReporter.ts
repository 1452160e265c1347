import { relative } from "node:path"
import type { Reporter, TestModule } from "vitest/node"

/** Prints the failed tests again at the end of a run, and then, as its last line, the number of tests. */
export default class CountReporter implements Reporter {
  onTestRunEnd(modules: ReadonlyArray<TestModule>): void {
    const count = { passed: 0, failed: 0, skipped: 0, pending: 0 }
    const failures: Array<string> = []
    const fail = (name: string, message = "") => failures.push(`Failed: ${name}: ${message.split("\n", 1)[0]}`)
    for (const module of modules) {
      const file = relative(process.cwd(), module.moduleId)
      for (const test of module.children.allTests()) {
        const result = test.result()
        count[result.state]++
        if (result.state === "failed") fail(`${file} > ${test.fullName}`, result.errors[0]?.message)
      }
      // A file that does not load has no tests, but it has failed.
      if (!module.ok() && module.errors().length > 0) {
        count.failed++
        fail(file, module.errors()[0]?.message)
      }
    }
    const skipped = count.skipped + count.pending
    // After the summary of the default reporter, which prints when the process is about to end.
    process.once("exit", () => {
      for (const failure of failures) console.log(failure)
      console.log(`Tests: ${count.passed} passed, ${count.failed} failed, ${skipped} skipped`)
    })
  }
}
