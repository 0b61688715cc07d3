#include "route/policy.h"
