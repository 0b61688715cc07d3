// The pictures of a quality-of-service result: a page of its own, or sections of the report.
#pragma once

#include <string>

#include "tools/strata/console.h"

namespace strata::cli {

/// From the document of `strata qos`. `command` is the line that makes the page again.
/// Throws Json::exception if the document is not complete.
std::string render_qos_html(const Json& document, const std::string& command);

/// The sections alone, and the colours that they need.
std::string qos_sections(const Json& document);
std::string qos_styles(const Json& document);

}  // namespace strata::cli
