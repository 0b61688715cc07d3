#include "route/slowdown_belief.h"
