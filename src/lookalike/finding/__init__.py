"""Which garments does a photo show, and where?"""
