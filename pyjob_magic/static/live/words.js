// Times and numbers as people read them. Pure.

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Return seconds as `8 s`, `2 min 05 s`, `3 h 07 min`, `2 d 4 h`. */
function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < MINUTE) return `${whole} s`;
  if (whole < HOUR) return `${Math.floor(whole / MINUTE)} min ${two(whole % MINUTE)} s`;
  if (whole < DAY)
    return `${Math.floor(whole / HOUR)} h ${two(Math.floor((whole % HOUR) / MINUTE))} min`;
  return `${Math.floor(whole / DAY)} d ${Math.floor((whole % DAY) / HOUR)} h`;
}

/** Return seconds for an axis: without what is zero. */
function brief(seconds) {
  if (seconds < MINUTE) return `${seconds} s`;
  if (seconds < HOUR) return seconds % MINUTE ? duration(seconds) : `${seconds / MINUTE} min`;
  if (seconds < DAY) return seconds % HOUR ? duration(seconds) : `${seconds / HOUR} h`;
  return `${Math.round((10 * seconds) / DAY) / 10} d`;
}

/** Return a count with its thousands set apart. */
function count(number) {
  return number.toLocaleString("en-US");
}

/** Return a count and what is counted: `1 line`, `12 lines`. */
function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : noun.endsWith("ch") ? "es" : "s"}`;
}

/** Return a measured value with as many digits as can be read at a look. */
function figure(value) {
  if (value === null || value === undefined) return "not finite";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-3) return value.toExponential(2).replace("e+", "e");
  return size >= 1e4 ? count(Math.round(value)) : String(Number(value.toPrecision(4)));
}

/** Return the time of day of epoch seconds, with the date where that is another one. */
function clock(seconds, today = new Date()) {
  const date = new Date(seconds * 1000);
  const time = date.toLocaleTimeString("en-GB");
  return date.toDateString() === today.toDateString()
    ? time
    : `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}-${String(date.getDate()).padStart(2, "0")} ${time}`;
}

/** Return round numbers from `low` to `high`, about `wanted` of them. */
function ticks(low, high, wanted) {
  const rough = (high - low) / wanted;
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const power = 10 ** Math.floor(Math.log10(rough));
  const base = [1, 2, 5].find((each) => rough / power < 1.5 * each) ?? 10;
  return multiples(low, high, base * power);
}

/** Return round numbers between powers of ten, from 10 ** `low` to 10 ** `high`. */
function logTicks(low, high) {
  const decades = high - low;
  if (decades < 1) return ticks(10 ** low, 10 ** high, 4);
  const digits = decades < 2 ? [1, 2, 5] : [1];
  const apart = Math.ceil(decades / 5);
  const first = Math.ceil(Math.floor(low) / apart) * apart;
  const powers = Array.from({ length: Math.ceil(high) + 1 - first }, (_, i) => first + i);
  return powers
    .filter((power) => power % apart === 0)
    .flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`)))
    .filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
}

/** Return round times from 0 to `seconds`, about `wanted` of them. */
function timeTicks(seconds, wanted) {
  const steps = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400,
  ];
  const step =
    steps.find((each) => each >= seconds / wanted) ?? Math.ceil(seconds / wanted / DAY) * DAY;
  return multiples(0, seconds, step);
}

function multiples(low, high, step) {
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) =>
    Number(((first + i) * step).toPrecision(12)),
  );
}
