#include "route/residual_window.h"
