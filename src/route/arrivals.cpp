#include "route/arrivals.h"
