// What the programs of pages have in common.
const byId = id => document.getElementById(id);
const read = id => byId(id) && JSON.parse(byId(id).textContent); // what page.Data embedded
const make = (tag, props = {}, ...children) => {
	const e = Object.assign(document.createElement(tag), props);
	e.append(...children);
	return e;
};
const percent = p => (100 * p).toFixed(p < 0.0995 ? 2 : 1) + " %";

// The colours of the page, for canvases. onColours calls f when they change.
let colours;
const readColours = () => {
	const style = getComputedStyle(document.documentElement), of = name => style.getPropertyValue(name).trim();
	colours = { ink: of("--ink"), quiet: of("--quiet"), card: of("--card"), faint: of("--faint"), cold: of("--s0"), warm: of("--s1"), good: of("--s2") };
};
readColours();
const onColours = f => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); f(); });

// sized makes a canvas so many pixels large, and returns its context.
const sized = (canvas, width, height) => {
	// Browsers draw nothing on a canvas that has too many pixels on a side, or in all.
	const sharp = Math.min(devicePixelRatio || 1, 32000 / width, 32000 / height, Math.sqrt(2e7 / (width * height)));
	canvas.width = Math.ceil(width * sharp);
	canvas.height = Math.ceil(height * sharp);
	canvas.style.width = width + "px";
	canvas.style.height = height + "px";
	const c = canvas.getContext("2d");
	c.scale(sharp, sharp);
	c.font = "12px system-ui, sans-serif";
	c.textBaseline = "middle";
	return c;
};

// fill fills a cell of a grid; large ones have gaps between them.
const fill = (c, x, y, w, h, colour, opacity = 1) => {
	const gap = w > 5 && h > 5 ? 1 : 0;
	c.globalAlpha = opacity;
	c.fillStyle = colour;
	c.beginPath();
	c.roundRect(x, y, w - gap, h - gap, gap && Math.min(w, h) > 10 ? 2 : 0);
	c.fill();
	c.globalAlpha = 1;
};

// Grid draws rows and columns of cells with their names. point is called with the cell {row, column}
// under the pointer, or null, and the event.
class Grid {
	constructor(canvas, point) {
		this.canvas = canvas;
		canvas.addEventListener("pointermove", e => point(this.at(e.offsetX, e.offsetY), e));
		canvas.addEventListener("pointerleave", e => point(null, e));
	}
	// show draws the grid: draw fills a cell. Columns are between least and most wide, as room allows;
	// their names are upright on demand. Rows are height high, or square, and may come in groups of
	// groupSize rows with a gap between.
	show({ rows, columns, groups = [], groupSize = rows.length, room, least, most, height = 0, upright = false, draw }) {
		const probe = this.canvas.getContext("2d");
		probe.font = "12px system-ui, sans-serif";
		const longest = names => Math.min(110, Math.max(0, ...names.map(n => probe.measureText(n).width)));
		this.groupLeft = groups.length ? longest(groups) + 10 : 0;
		this.left = this.groupLeft + longest(rows) + 8;
		this.top = upright ? longest(columns) + 10 : 22;
		this.w = Math.max(least, Math.min(most, (room - this.left - 4) / columns.length));
		this.h = height || this.w;
		this.gap = groups.length ? 10 : 0;
		Object.assign(this, { rows, columns, groupSize });
		const c = sized(this.canvas, this.left + this.w * columns.length + 2, this.y(rows.length - 1) + this.h + 2);
		this.names(c, groups, upright);
		rows.forEach((_, r) => columns.forEach((_, i) => draw(c, r, i, this.left + i * this.w, this.y(r), this.w, this.h)));
		this.image = null;
	}
	y(row) { return this.top + row * this.h + Math.floor(row / this.groupSize) * this.gap; }
	names(c, groups, upright) {
		c.fillStyle = colours.quiet;
		c.textAlign = "right";
		groups.forEach((name, g) => c.fillText(name, this.groupLeft - 10, this.y(g * this.groupSize) + this.groupSize * this.h / 2, 110));
		const every = Math.ceil(13 / this.h);
		this.rows.forEach((name, r) => { if (r % this.groupSize % every === 0) c.fillText(name, this.left - 6, this.y(r) + this.h / 2, 110); });
		c.textAlign = upright ? "left" : "center";
		const skip = Math.ceil((upright ? 13 : 26) / this.w);
		this.columns.forEach((name, i) => {
			if (i % skip !== 0) return;
			c.save();
			c.translate(this.left + (i + .5) * this.w, this.top - (upright ? 6 : 11));
			if (upright) c.rotate(-Math.PI / 2);
			c.fillText(name, 0, 0, 110);
			c.restore();
		});
	}
	// mark frames a row or a column, in place of the last one.
	mark({ row, column }) {
		const c = this.canvas.getContext("2d");
		if (this.image) c.putImageData(this.image, 0, 0);
		else this.image = c.getImageData(0, 0, this.canvas.width, this.canvas.height);
		c.strokeStyle = colours.warm;
		c.lineWidth = 1.5;
		if (row !== undefined) c.strokeRect(this.left - 1, this.y(row) - 1, this.columns.length * this.w + 1, this.h + 1);
		else c.strokeRect(this.left + column * this.w - 1, this.top - 2, this.w + 1, this.y(this.rows.length - 1) + this.h - this.top + 3);
	}
	at(x, y) {
		const column = Math.floor((x - this.left) / this.w);
		const block = this.groupSize * this.h + this.gap, group = Math.floor((y - this.top) / block);
		const within = Math.floor((y - this.top - group * block) / this.h), row = group * this.groupSize + within;
		const inside = column >= 0 && column < this.columns.length && within >= 0 && within < this.groupSize && row >= 0 && row < this.rows.length;
		return inside ? { row, column } : null;
	}
}
