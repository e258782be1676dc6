"""The style sheet of the HTML report: system fonts, light and dark, readable on a phone."""

STYLE = """
:root { color-scheme: light dark; --text: #1c1e21; --quiet: #5b626b; --page: #ffffff; --panel: #f5f6f8;
  --line: #d9dce1; --accent: #0b5cad; --better: #dcebf8; --worse: #fbe6d6; }
@media (prefers-color-scheme: dark) { :root { --text: #e4e6ea; --quiet: #a0a7b1; --page: #15171a; --panel: #1e2125;
  --line: #363b42; --accent: #7db8ee; --better: #17344f; --worse: #4a2c15; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0 auto; max-width: 96rem; padding: 1.2rem clamp(0.8rem, 3vw, 2.5rem) 5rem; background: var(--page);
  color: var(--text); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0.6rem 0 0.4rem; }
h2 { font-size: 1.3rem; margin: 3rem 0 0.8rem; padding-top: 0.8rem; border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 2rem 0 0.6rem; }
h4 { font-size: 1rem; margin: 1.4rem 0 0.4rem; }
p, ul, ol { max-width: 46rem; margin: 0.6rem 0; }
ul, ol { padding-left: 1.3rem; } li { margin: 0.4rem 0; }
a { color: var(--accent); }
code, pre { font: 0.9em ui-monospace, "Cascadia Mono", Menlo, Consolas, monospace; }
pre { background: var(--panel); padding: 0.8rem; overflow-x: auto; border-radius: 6px; }
nav ol { columns: 2 16rem; padding: 0.8rem 1rem 0.8rem 2.4rem; background: var(--panel); border-radius: 8px;
  font-size: 0.93rem; max-width: none; }
nav li { margin: 0.1rem 0; }
.scroll { overflow-x: auto; margin: 0.9rem 0 0.3rem; border: 1px solid var(--line); border-radius: 8px; }
table { border-collapse: separate; border-spacing: 0; font-size: 0.85rem; min-width: 100%;
  font-variant-numeric: tabular-nums; }
th, td { padding: 0.32rem 0.65rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 600; vertical-align: bottom; }
thead th { background: var(--panel); white-space: normal; min-width: 4.2rem; }
tbody tr:last-child > * { border-bottom: 0; }
.left { text-align: left; }
td.wide { white-space: normal; min-width: 18rem; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--page); }
thead th:first-child { background: var(--panel); }
tr.group th { text-align: left; background: var(--panel); color: var(--quiet); }
td b { font-weight: 700; }
td.better { background: var(--better); } td.worse { background: var(--worse); }
td.better::after { content: " ✓"; } td.worse::after { content: " ✗"; }
td.missing { color: var(--quiet); }
.caption, figcaption { color: var(--quiet); font-size: 0.85rem; max-width: 46rem; margin: 0.3rem 0 1.4rem; }
figure { margin: 1rem 0; overflow-x: auto; }
figure img { max-width: 100%; height: auto; display: block; background: #ffffff; border: 1px solid var(--line);
  border-radius: 8px; padding: 6px; }
.gallery { display: grid; gap: 0.6rem 1rem; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); }
.gallery figure { margin: 0.3rem 0; } .gallery figcaption { margin-bottom: 0.4rem; }
.clips { display: grid; gap: 0.5rem 1rem; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr));
  background: var(--panel); border-radius: 8px; padding: 0.7rem 0.9rem 0.9rem; margin: 0.6rem 0 1rem; }
.clips h4 { grid-column: 1 / -1; margin: 0; }
.clips label { display: block; font-size: 0.85rem; color: var(--quiet); } audio { width: 100%; height: 2.3rem; }
details { margin: 1rem 0; } summary { cursor: pointer; color: var(--accent); }
.commentary { border-left: 3px solid var(--accent); padding-left: 1.1rem; margin: 1.4rem 0; }
@media (max-width: 40rem) {
  th:first-child, td:first-child { min-width: 7.5rem; max-width: 9.5rem; white-space: normal; }
  figure > img { max-width: 44rem; } .gallery figure > img { max-width: 100%; }
}
@media print { nav, .clips { display: none; } body { max-width: none; } }
"""
