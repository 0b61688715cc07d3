// Words as BLEU counts them: the tokeniser 13a (of NIST's mteval-v13a.pl), which sacreBLEU takes by
// default.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata::text {

/// The tokens of a sentence in UTF-8.
std::vector<std::string> tokenize_13a(std::string_view sentence);

}  // namespace strata::text
