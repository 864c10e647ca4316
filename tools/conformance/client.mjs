// Runs the tests of the package http-cache-tests against one cache and prints a line for each that is not passed, then
// how many were. `node client.mjs PACKAGE BASE [ID]`: the folder of the package, the URL of the cache, one test alone.
//
// The package's own command prints JSON for a page that draws it; this reads the same results.

import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [folder, base, only] = process.argv.slice(2)
const load = file => import(pathToFileURL(`${folder}/${file}`))
const fetch = createRequire(`${folder}/package.json`)('node-fetch')

const suites = [...(await load('tests/index.mjs')).default, (await load('tests/surrogate-control.mjs')).default]
const { runTests, getResults } = await load('client/runner.mjs')
const { determineTestResult } = await load('lib/display.mjs')

let chosen = suites
if (only) {
  const found = suites.flatMap(suite => suite.tests).filter(test => test.id === only)
  found.forEach(test => { test.dump = true })
  chosen = [{ name: only, id: only, tests: found }]
}
await runTests(chosen, fetch, false, base)
const results = getResults()

// A name for each of the package's marks.
const NAMES = { '✅': 'pass', '⛔️': 'fail', '⚠️': 'optional', Y: 'yes', N: 'no', '🔹': 'setup', '⁉️': 'harness', '⚪️': 'depends', '↻': 'retry', '-': 'untested' }
const counts = {}
for (const suite of chosen) {
  for (const test of suite.tests) {
    if (test.browser_only) continue
    const name = NAMES[determineTestResult(suites, test.id, results)[2]]
    counts[name] = (counts[name] || 0) + 1
    if (name !== 'pass' && name !== 'yes') {
      const why = results[test.id]?.[1] ?? ''
      console.log([name.padEnd(8), test.id, String(why).split('\n')[0]].join('  '))
    }
  }
}
console.log('total     ' + Object.entries(counts).sort().map(([name, count]) => `${name} ${count}`).join(', '))
