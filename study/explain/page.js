const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const make = (tag, props = {}, ...children) => {
	const e = Object.assign(document.createElement(tag), props);
	e.append(...children);
	return e;
};
const read = id => {
	const e = document.getElementById(id);
	return e && JSON.parse(e.textContent);
};
const redraws = []; // when the colours change
const percent = p => p >= 0.0995 ? Math.round(100 * p) + " %" : (100 * p).toFixed(1) + " %";

// sized makes a canvas so many pixels large and sharp.
const sized = (canvas, width, height) => {
	const ratio = window.devicePixelRatio || 1;
	canvas.width = Math.round(width * ratio);
	canvas.height = Math.round(height * ratio);
	canvas.style.width = width + "px";
	canvas.style.height = height + "px";
	const c = canvas.getContext("2d");
	c.scale(ratio, ratio);
	return c;
};

// grid draws named rows and columns of values from 0 to 1, null where there is none, and tells on which cell the pointer rests.
class Grid {
	constructor(canvas, rest) {
		this.canvas = canvas;
		canvas.addEventListener("pointermove", e => {
			const cell = this.cellAt(e.offsetX, e.offsetY);
			if (cell) rest(...cell);
		});
	}
	show(rows, columns, value, mark) {
		Object.assign(this, {rows, columns, value, mark});
		this.draw();
	}
	draw() {
		const probe = this.canvas.getContext("2d"), font = "12px ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace";
		probe.font = font;
		const longest = names => Math.min(120, Math.max(...names.map(n => probe.measureText(n).width)));
		this.left = longest(this.rows) + 8;
		this.top = longest(this.columns) + 8;
		this.cell = Math.max(7, Math.min(44, 460 / Math.max(this.columns.length, this.rows.length)));
		const c = sized(this.canvas, this.left + this.columns.length * this.cell + 2, this.top + this.rows.length * this.cell + 2);
		c.font = font;
		c.fillStyle = css("--quiet");
		c.textBaseline = "middle";
		const every = this.cell < 13 ? Math.ceil(13 / this.cell) : 1;
		c.textAlign = "right";
		this.rows.forEach((name, r) => { if (r % every === 0) c.fillText(name, this.left - 5, this.top + (r + .5) * this.cell, 120); });
		c.textAlign = "left";
		this.columns.forEach((name, i) => {
			if (i % every !== 0) return;
			c.save();
			c.translate(this.left + (i + .5) * this.cell, this.top - 5);
			c.rotate(-Math.PI / 2);
			c.fillText(name, 0, 0, 120);
			c.restore();
		});
		const ground = css("--faint"), colour = css("--s0");
		for (let r = 0; r < this.rows.length; r++) {
			for (let i = 0; i < this.columns.length; i++) {
				const v = this.value(r, i);
				if (v === null) continue;
				const at = [this.left + i * this.cell, this.top + r * this.cell, this.cell - 1, this.cell - 1];
				c.globalAlpha = 1;
				c.fillStyle = ground;
				c.fillRect(...at);
				c.globalAlpha = Math.sqrt(v);
				c.fillStyle = colour;
				c.fillRect(...at);
			}
		}
		c.globalAlpha = 1;
		if (this.mark !== undefined && this.mark >= 0) {
			c.strokeStyle = css("--s1");
			c.lineWidth = 1.5;
			c.strokeRect(this.left - .5, this.top + this.mark * this.cell - .5, this.columns.length * this.cell, this.cell);
		}
	}
	cellAt(x, y) {
		const i = Math.floor((x - this.left) / this.cell), r = Math.floor((y - this.top) / this.cell);
		return r >= 0 && r < this.rows.length && i >= 0 && i < this.columns.length && this.value(r, i) !== null ? [r, i] : null;
	}
}

// slider is a choice from a list of layers.
const slider = (name, layers, change) => {
	const out = make("output", {textContent: layers[0].layer});
	const input = make("input", {type: "range", min: 0, max: layers.length - 1, value: 0, oninput: () => {
		out.textContent = layers[input.value].layer;
		change(layers[input.value]);
	}});
	return make("label", {}, name, input, out);
};

const attention = (figure, data) => {
	const n = data.tokens.length, earlier = data.first > 0 ? 1 : 0;
	const names = data.tokens.map((t, i) => (data.first + i) + " " + t);
	const columns = earlier ? ["earlier", ...names] : names;
	const perHead = n * (n + 1) / 2 + n * earlier;
	let layer, head = 0, reader = n - 1, probs;
	const p = (h, r, i) => { // token r reads column i
		if (i > r + earlier) return null;
		const b = probs[h * perHead + r * (r + 1) / 2 + r * earlier + i] / 255;
		return b * b;
	};
	const tip = make("p", {className: "tip"}), reading = make("p", {className: "reading"}), heads = make("div", {className: "heads"}), canvas = make("canvas");
	const tokens = columns.map((t, i) => make("span", {className: "token", textContent: i < earlier ? "earlier" : data.tokens[i - earlier], onpointerenter: () => read(i), onclick: () => read(i)}));
	reading.append(...tokens);
	const read = i => { if (i >= earlier) { reader = i - earlier; show(); } };
	const big = new Grid(canvas, (r, i) => {
		if (r !== reader) { reader = r; show(); }
		tip.textContent = `Head ${head} of layer ${layer.layer}: ${names[r]} reads ${columns[i]}: ${percent(p(head, r, i))}`;
	});
	const show = () => {
		big.show(names, columns, (r, i) => p(head, r, i), reader);
		tokens.forEach((t, i) => {
			const v = p(head, reader, i);
			t.classList.toggle("reads", i === reader + earlier);
			t.style.background = v === null ? "transparent" : `color-mix(in srgb, var(--s0) ${70 * v}%, var(--faint))`;
			t.title = v === null ? "" : percent(v);
		});
		let best = 0;
		for (let i = 1; i <= reader + earlier; i++) if (p(head, reader, i) > p(head, reader, best)) best = i;
		tip.textContent = `Head ${head} of layer ${layer.layer}: ${names[reader]} reads most from ${columns[best]}: ${percent(p(head, reader, best))}`;
		[...heads.children].forEach((b, h) => b.setAttribute("aria-pressed", h === head));
	};
	const thumbnails = () => {
		heads.replaceChildren(...Array.from({length: layer.heads}, (_, h) => {
			const small = make("canvas"), side = 76, cell = side / (n + earlier);
			const c = sized(small, side, side);
			const ground = css("--faint"), colour = css("--s0");
			c.fillStyle = ground;
			c.fillRect(0, 0, side, side);
			c.fillStyle = colour;
			for (let r = 0; r < n; r++) for (let i = 0; i <= r + earlier; i++) {
				c.globalAlpha = Math.sqrt(p(h, r, i));
				c.fillRect(i * cell, r * side / n, cell, side / n);
			}
			return make("button", {type: "button", onclick: () => { head = h; show(); }}, small, "head " + h);
		}));
	};
	const choose = l => {
		layer = l;
		probs = Uint8Array.from(atob(l.probs), ch => ch.charCodeAt(0));
		if (probs.length !== l.heads * perHead) throw new Error("the attention of layer " + l.layer + " is incomplete");
		head = Math.min(head, l.heads - 1);
		thumbnails();
		show();
	};
	figure.append(make("div", {className: "controls"}, slider("layer", data.layers, choose)), heads,
		make("div", {className: "view"}, make("div", {className: "grid"}, canvas), make("div", {}, tip, reading)));
	choose(data.layers[0]);
	redraws.push(() => { thumbnails(); show(); });
};

const routing = (figure, data) => {
	const tip = make("p", {className: "tip", textContent: "Rest the pointer on a cell to see a weight."}), canvas = make("canvas");
	const names = data.tokens.map((t, i) => (data.first + i) + " " + t);
	let layer;
	const weight = (r, i) => {
		const at = layer.routes[i].experts.indexOf(r);
		return at < 0 ? 0 : layer.routes[i].weights[at];
	};
	const most = () => Math.max(...layer.routes.flatMap(r => r.weights), 1e-9);
	const grid = new Grid(canvas, (r, i) => {
		const w = weight(r, i);
		tip.textContent = `Layer ${layer.layer}: expert ${r} ` + (w > 0 ? `works on ${names[i]} with weight ${w.toFixed(3)}` : `is not chosen for ${names[i]}`);
	});
	const choose = l => {
		layer = l;
		const top = most();
		grid.show(Array.from({length: l.experts}, (_, e) => "expert " + e), names, (r, i) => weight(r, i) / top);
	};
	figure.append(make("div", {className: "controls"}, slider("layer", data.layers, choose)), make("div", {className: "view"}, make("div", {className: "grid"}, canvas), tip));
	choose(data.layers[0]);
	redraws.push(() => grid.draw());
};

for (const figure of document.querySelectorAll("[data-scope]")) {
	({attention, routing})[figure.dataset.scope](figure, read(figure.dataset.scope));
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach(f => f()));
