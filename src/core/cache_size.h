// The caches of this machine, for rules of what stays in them.
#pragma once

#include <cstdint>

namespace strata {

/// Of one core, for data. Within 32 to 64 KiB, as cores of today have; 48 where nobody says.
int64_t first_level_cache_bytes();

/// That cores share; 8 MiB where nobody says.
int64_t last_level_cache_bytes();

}  // namespace strata
