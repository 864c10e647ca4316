// Runs the suite's own client against a cache and prints what the suite makes of each test, as JSON.
// usage: node run.mjs SUITE_FOLDER BASE_URL [TEST_ID]
//
// With TEST_ID that test alone, with all that client and origin say to each other before it.

const [folder, base, only] = process.argv.slice(2)
const load = async path => await import(`file://${folder}/${path}`)

const groups = [...(await load('tests/index.mjs')).default, (await load('tests/surrogate-control.mjs')).default]
const { default: fetch } = await load('../node-fetch/lib/index.mjs')
const { runTests, getResults } = await load('client/runner.mjs')
const { determineTestResult } = await load('lib/display.mjs')

const chosen = groups.map(group => ({
  ...group,
  tests: group.tests.filter(test => only === undefined || test.id === only)
}))
chosen.forEach(group => group.tests.forEach(test => { test.dump = only !== undefined }))
// Most of them wait: so many at the same time.
await runTests(chosen, fetch, false, base, 175)

// The suite tells its results apart by the symbols that it shows.
const outcomes = {
  '✅': 'passed',
  Y: 'passed',
  '⛔️': 'failed',
  '⚠️': 'failed',
  N: 'failed',
  '⚪️': 'untold',
  '🔹': 'disturbed',
  '↻': 'disturbed',
  '⁉️': 'disturbed'
}
const results = getResults()
const told = []
for (const group of chosen) {
  for (const test of group.tests) {
    if (!(test.id in results)) continue
    told.push({
      id: test.id,
      group: group.name,
      kind: test.kind ?? 'required',
      depends_on: test.depends_on ?? [],
      outcome: outcomes[determineTestResult(groups, test.id, results, only === undefined)[2]],
      why: results[test.id] === true ? '' : results[test.id].join(': ')
    })
  }
}
console.log(JSON.stringify(told))
