// The report: one HTML page that needs nothing but itself, in light and in dark.
#pragma once

#include <string>

#include "tools/strata/report_data.h"

namespace strata::cli {

/// `command` is the line that makes the page again.
std::string render_html(const ReportData& report, const std::string& command);

/// The table of levels, as text for the terminal.
std::string render_level_table(const ReportData& report);

}  // namespace strata::cli
