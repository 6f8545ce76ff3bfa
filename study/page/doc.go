// Package page writes self-contained HTML: one file that holds its style, its pictures and its
// data, asks no network for anything, and reads well on a telephone and on a wide screen, by day
// and by night.
//
// In order of use:
//
//   - [New] begins a [Page]; [Page.Section] and [Page.Add] put blocks of HTML into it, and
//     [Page.Render] writes the document.
//   - [Text], [Code], [Badge], [Details] and [Columns] make blocks; a [Table] aligns figures by
//     itself.
//   - [Plot] draws lines, points and fits over linear and logarithmic axes, [Bars] horizontal bars
//     side by side or stacked, [HeatMap] a grid. What cannot be drawn (no number, or none above
//     zero on a logarithmic axis) is counted under the picture. Values show when the pointer rests
//     on them.
//   - [Data] embeds a value as JSON, [Script] a program that reads it, [Program] one with the
//     functions that pages share, and [CSS] further rules of style. [Fill] runs a template of
//     package html/template for what has a shape of its own.
//
// Texts are escaped by whoever takes them; only a template.HTML goes in as it is. The document
// forbids itself, by its Content-Security-Policy, to load anything. It marks its root element with
// data-ran when the scripts ran through and with data-error when one failed or something was to be
// loaded, which a headless browser can be asked for.
package page
