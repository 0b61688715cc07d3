// What the processor calls itself: a time that was measured means nothing without it.
#pragma once

#include <string>

namespace strata {

/// "Intel(R) Xeon(R) ...", as Linux says; where it knows no name (Arm), the numbers of implementer
/// and part; "unknown processor" if there is nothing at all.
std::string cpu_name();

}  // namespace strata
