"""What every model keeps of the arguments it was made with."""


def keep_settings(model, **settings):
    """Set constructor arguments as attributes, for get_config; sequences become lists of str or int, as in JSON."""
    for key, value in settings.items():
        if isinstance(value, (list, tuple)):
            value = [item if isinstance(item, str) else int(item) for item in value]
        setattr(model, key, value)
