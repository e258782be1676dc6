// The probability of at least `correct` right answers of `answers` by guessing.
function guessingProbability(correct, answers) {
  let total = 0;
  for (let right = correct; right <= answers; right += 1) {
    let ways = 1;
    for (let factor = 1; factor <= right; factor += 1) ways *= (answers - right + factor) / factor;
    total += ways;
  }
  return total / 2 ** answers;
}
