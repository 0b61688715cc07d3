#include "tools/strata/html_page.h"

#include <cmath>

#include "tools/strata/svg_chart.h"
#include "tools/strata/table.h"

namespace strata::cli {
namespace {

// Colours of levels (.l0, .l1, ...) are added per page; --c is the colour of a mark.
constexpr const char* kStyle = R"css(
:root{--bg:#fbfaf8;--card:#fff;--ink:#1d2129;--soft:#5b6472;--line:#d9dce1;--grid:#eceef1;--light:44%;
color-scheme:light dark}
@media (prefers-color-scheme:dark){:root{--bg:#14171c;--card:#1c2027;--ink:#e8eaee;--soft:#9aa4b2;
--line:#3a414c;--grid:#2a2f38;--light:62%}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);line-height:1.5;
font-family:system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;font-size:15px}
main{max-width:1120px;margin:0 auto;padding:32px 20px 64px}
header h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}
header p{margin:0;color:var(--soft)}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:14px;margin:24px 0}
.fact{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.fact b{display:block;font-size:24px;line-height:1.25;font-variant-numeric:tabular-nums}
.fact span{color:var(--soft);font-size:13px}
.grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:18px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px;
margin:0 0 18px;min-width:0}
.grid section{margin:0}.grid{margin-bottom:18px}
h2{font-size:18px;margin:0 0 2px}
section>p{margin:0 0 12px;color:var(--soft);font-size:14px;max-width:75ch}
.scroll{overflow-x:auto}
svg{display:block;width:100%;height:auto;margin:0 auto}
svg text{fill:var(--ink);font-size:12px;font-family:inherit}
svg .tick,svg .row-note{fill:var(--soft);font-size:11.5px}
svg .axis-title{fill:var(--soft);font-size:12.5px}
svg .row-label{font-size:11.5px}
svg .end{text-anchor:end}svg .middle{text-anchor:middle}
svg .gridline{stroke:var(--grid)}
svg .axis{stroke:var(--line)}
svg .curve{fill:none;stroke:var(--c);stroke-width:2.2;stroke-linejoin:round}
svg .dashed{stroke-dasharray:7 5}
svg .marker{fill:var(--c);stroke:var(--card);stroke-width:1.2}
svg .marker:hover,svg .bar:hover{opacity:.75}
svg .bar{fill:var(--c)}
svg .reference{stroke:var(--c);stroke-width:1.3;stroke-dasharray:2 4}
.neutral{--c:var(--soft)}
.miss{--c:hsl(4 78% var(--light))}
svg .band{fill:var(--soft);opacity:.16}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
th{font-weight:600;color:var(--soft);font-size:13px;white-space:normal;vertical-align:bottom}
td.detail{text-align:left;white-space:normal;min-width:260px}
.warning{border-left:4px solid var(--c);padding:6px 12px;margin:0 0 12px;font-size:14px;
background:var(--bg)}
th:first-child,td:first-child{text-align:left}
tr:last-child td{border-bottom:0}
.swatch{display:inline-block;width:11px;height:11px;border-radius:3px;background:var(--c);
margin-right:8px}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0 0 8px;padding:0;list-style:none;
font-size:13.5px}
.legend svg{width:34px;min-width:0;display:inline-block;vertical-align:middle;margin-right:7px}
dl{display:grid;grid-template-columns:max-content minmax(0,1fr);gap:6px 18px;margin:0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
code{font-family:ui-monospace,"DejaVu Sans Mono",Menlo,monospace;font-size:13px}
@media (max-width:560px){main{padding:20px 10px 40px}section{padding:14px 12px}
dl{grid-template-columns:minmax(0,1fr)}dd{margin-bottom:8px}}
@media print{body{background:#fff}section{break-inside:avoid}}
)css";

}  // namespace

std::string level_name(int level) { return "level " + std::to_string(level); }
std::string level_color(int level) { return "l" + std::to_string(level); }

std::string level_styles(int last) {
  constexpr double kAmber = 36;
  constexpr double kSweep = 145;
  std::string css;
  for (int level = 0; level <= last; ++level) {
    const double hue = kAmber + 360 - (last == 0 ? 0 : kSweep * level / last);
    css += "." + level_color(level) + "{--c:hsl(" + format_fixed(std::fmod(hue, 360), 0) +
           " 72% var(--light))}\n";
  }
  return css;
}

std::string milliseconds(double ms) {
  return format_fixed(ms, ms < 1 ? 3 : ms < 100 ? 2 : 1) + " ms";
}

std::string section(const std::string& title, const std::string& explanation,
                    const std::string& body) {
  return "<section>\n<h2>" + escape_markup(title) + "</h2>\n<p>" + escape_markup(explanation) +
         "</p>\n" + body + "</section>\n";
}

std::string scrolling(const std::string& content) {
  return "<div class=\"scroll\">\n" + content + "</div>\n";
}

std::string swatch(const std::string& color) {
  return "<span class=\"swatch " + color + "\"></span>";
}

std::string legend_entry(const std::string& color, bool dashed, const std::string& name) {
  return "<li><svg viewBox=\"0 0 34 10\" aria-hidden=\"true\"><line x1=\"1\" y1=\"5\" x2=\"33\" "
         "y2=\"5\" class=\"curve " +
         color + (dashed ? " dashed" : "") + "\"/></svg>" + escape_markup(name) + "</li>\n";
}

std::string fact(const std::string& value, const std::string& label) {
  return "<div class=\"fact\"><b>" + escape_markup(value) + "</b><span>" + escape_markup(label) +
         "</span></div>\n";
}

std::string page(const std::string& title, const std::string& subtitle, const std::string& styles,
                 const std::string& body) {
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>" +
         escape_markup(title) + "</title>\n<style>" + kStyle + styles +
         "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>" + escape_markup(title) + "</h1>\n<p>" +
         escape_markup(subtitle) + "</p>\n</header>\n" + body + "</main>\n</body>\n</html>\n";
}

}  // namespace strata::cli
