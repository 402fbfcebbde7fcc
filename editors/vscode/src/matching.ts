/** Which of many paths a few typed letters mean. Pure. */

/** The items whose text holds the letters of `query` in order, best first; equal ones keep their order. */
export function rank<T>(items: readonly T[], query: string, textOf: (item: T) => string): T[] {
  const wanted = query.toLowerCase();
  return items
    .map((item) => ({ item, score: score(textOf(item).toLowerCase(), wanted) }))
    .filter(({ score: found }) => found > 0)
    .sort((one, other) => other.score - one.score)
    .map(({ item }) => item);
}

/** 0 = no match. A run in the file's name beats one in its folders, beats scattered letters; short paths win. */
function score(path: string, wanted: string): number {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const shortness = 1 / (1 + path.length);
  if (name.startsWith(wanted)) {
    return 4 + shortness;
  }
  if (name.includes(wanted)) {
    return 3 + shortness;
  }
  if (path.includes(wanted)) {
    return 2 + shortness;
  }
  let at = -1;
  for (const letter of wanted) {
    at = path.indexOf(letter, at + 1);
    if (at < 0) {
      return 0;
    }
  }
  return 1 + shortness;
}
