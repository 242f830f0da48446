// Colours as [red, green, blue], made readable on the page they are on. Pure.

const BLACK = [0, 0, 0];
const WHITE = [255, 255, 255];
// One for each replica in turn; lines of charts have dashes as well.
const REPLICAS = [
  [9, 105, 218],
  [188, 76, 0],
  [26, 127, 55],
  [130, 80, 223],
  [191, 57, 137],
  [27, 124, 131],
  [154, 103, 0],
  [87, 96, 106],
];
// The 16 colours of a terminal, first the plain, then the bright ones.
const TERMINAL = [
  [0, 0, 0],
  [205, 49, 49],
  [13, 188, 121],
  [205, 190, 16],
  [36, 114, 200],
  [188, 63, 188],
  [17, 168, 205],
  [204, 204, 204],
  [102, 102, 102],
  [241, 76, 76],
  [35, 209, 139],
  [245, 245, 67],
  [59, 142, 234],
  [214, 112, 214],
  [41, 184, 219],
  [255, 255, 255],
];

/** Return the colour of the 256 that xterm has given that number. */
function xterm(number) {
  if (number < 16) return TERMINAL[number];
  if (number >= 232) return Array(3).fill(8 + 10 * (number - 232));
  const level = (digit) => (digit ? 55 + 40 * digit : 0);
  const cube = number - 16;
  return [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map(level);
}

function css([red, green, blue]) {
  return `rgb(${Math.round(red)}, ${Math.round(green)}, ${Math.round(blue)})`;
}

function mixed(one, other, share) {
  return one.map((value, i) => value + (other[i] - value) * share);
}

/** Return the relative luminance, as WCAG defines it. */
function luminance(rgb) {
  const [red, green, blue] = rgb.map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Return the contrast of two colours, 1 to 21. */
function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** Return the colour, moved towards black or white as far as it takes to be read on `ground`. */
function readable(rgb, ground, least = 4.6) {
  const pole = contrast(WHITE, ground) > contrast(BLACK, ground) ? WHITE : BLACK;
  for (let share = 0; share < 1; share += 0.1) {
    const colour = mixed(rgb, pole, share);
    if (contrast(colour, ground) >= least) return colour;
  }
  return pole;
}

/** Return the colour of a replica on that page. */
function replicaColour(index, theme) {
  return css(readable(REPLICAS[index % REPLICAS.length], theme.ground));
}
