import { timingSafeEqual, createHash } from 'node:crypto';
import {
  ForbiddenException,
  Inject,
  Injectable,
  UnauthorizedException,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { ACCESS_SETTINGS, type AccessSettings } from './access.settings.js';
import { PUBLIC_METADATA } from './public.decorator.js';

const LOOPBACK_HOSTS = ['localhost', '127.0.0.1', '[::1]'];

interface RequestHeaders {
  readonly headers: { readonly host?: string; readonly authorization?: string };
}

/**
 * With a password set, asks for it. Without one, answers only requests that are addressed to this machine by name: a web
 * page that made its own name point to the loopback address (DNS rebinding) gives itself away by the `Host` header.
 */
@Injectable()
export class AccessGuard implements CanActivate {
  constructor(
    @Inject(ACCESS_SETTINGS) private readonly settings: AccessSettings,
    private readonly reflector: Reflector,
  ) {}

  canActivate(context: ExecutionContext): boolean {
    const open = this.reflector.getAllAndOverride<boolean | undefined>(PUBLIC_METADATA, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (open) return true;
    const { headers } = context.switchToHttp().getRequest<RequestHeaders>();
    if (this.settings.auth !== null) return this.checkPassword(headers.authorization, this.settings.auth);
    return this.checkHost(headers.host);
  }

  private checkPassword(authorization: string | undefined, auth: string): true {
    const [scheme, credentials = ''] = (authorization ?? '').split(' ', 2);
    const given = scheme?.toLowerCase() === 'basic' ? Buffer.from(credentials, 'base64').toString('utf8') : '';
    if (equalInConstantTime(given, auth)) return true;
    throw new UnauthorizedException('Unauthorized');
  }

  private checkHost(host: string | undefined): true {
    const name = (host ?? '').replace(/:\d+$/, '').toLowerCase();
    if (LOOPBACK_HOSTS.includes(name) || this.settings.allowedHosts.includes(name)) return true;
    throw new ForbiddenException(
      `Requests addressed to "${name}" are not answered without authentication; use localhost, or set NESTOR_AUTH.`,
    );
  }
}

/** Comparing digests takes the same time whatever the difference, and hides the length. */
function equalInConstantTime(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}
