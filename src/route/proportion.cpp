#include "route/proportion.h"
